"""One example or two for each command, shown below its help."""

EXAMPLES = {
    "init": ("tinyse init .", "tinyse init my-denoiser"),
    "data get": (
        "tinyse data get",
        "tinyse data get packages --output recordings",
        "tinyse data get librispeech-dev-clean musan --output recordings",
    ),
    "data scan": (
        "tinyse data scan recordings/ --output recordings.csv",
        "tinyse data scan recordings/ --speaker-level 2 --output recordings.csv",
    ),
    "data preview": ("tinyse data preview recipes/quick.yaml --set data=recordings/ --output heard/",),
    "data synthesize": (
        "tinyse data synthesize --output heard/",
        "tinyse data synthesize noise --output noises/ --count 500",
        "tinyse data synthesize speech --output spoken/ --hours 10 --train-only",
    ),
    "data pairs": ("tinyse data pairs recordings/ --output pairs/ --count 60",),
    "data shard": ("tinyse data shard recordings.csv shards/",),
    "data cache": ("tinyse data cache", "tinyse data cache --clear"),
    "models": ("tinyse models",),
    "check": ("tinyse check recipes/quick.yaml --vela",),
    "train": (
        "tinyse train recipes/quick.yaml --set data=recordings/",
        "tinyse train recipes/quick.yaml --set stages.supervise.updates=500",
    ),
    "adapt": (
        "tinyse adapt --noise motor/",
        "tinyse adapt --noise motor/ --speech talkers/ --output runs/motor",
    ),
    "quantize study": ("tinyse quantize study runs/quick/supervise/model.safetensors",),
    "quantize explain": ("tinyse quantize explain runs/quick/supervise/model.safetensors",),
    "export": (
        "tinyse export runs/quick/supervise/model.safetensors",
        "tinyse export student-62k --firmware out/",
    ),
    "bench": ("tinyse bench runs/quick/supervise/model.tflite --board STM32H743",),
    "denoise": (
        "tinyse denoise noisy.wav clean.wav",
        "tinyse denoise recordings/ clean/ --model student-30k",
    ),
    "tag": ("tinyse tag street.wav --model runs/tagging/student/model.tflite",),
    "live": (
        "tinyse live --devices",
        "tinyse live --input Headset --attenuation-limit-db 20",
    ),
    "web": ("tinyse web --model runs/quick/supervise/model.tflite",),
    "evaluate": (
        "tinyse evaluate student-62k built-in",
        "tinyse evaluate runs/quick/supervise/model.safetensors pairs/",
    ),
    "doctor": ("tinyse doctor",),
}
"""The command without `tinyse` -> command lines. A test parses each."""
