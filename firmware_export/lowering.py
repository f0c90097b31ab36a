"""From a graph to a program: what is copied, what is only seen differently, what lives when.

RESHAPE and SPLIT move nothing where the kernel that follows can read rows with a stride. A state that is made after the
old one was last read is made in its place; any other is copied there as soon as the old one is no longer needed, and
read from there afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from firmware_export import gru, layers, memory
from firmware_export.layers import Layer, Rows
from firmware_export.program import ARENA, CONSTANT, STATES, Call, Place, Program, Storage
from tinyse.errors import InputError
from tinyse.graph.execution import slices_of
from tinyse.graph.graph import Graph, Operator, Tensor
from tinyse.graph.validation import validate

COPY = "tinyse_copy_rows"


def lower(graph: Graph, cmsis: bool = False) -> Program:
    """The program of a quantized graph; with `cmsis`, convolutions and fully connected layers on int8 call CMSIS-NN.

    Raises InputError, naming operator and position, for what the kernels do not have: float values, batches, broadcasting
    along the last axes.
    """
    validate(graph)
    return _Lowering(graph, cmsis).program()


class _Lowering:
    def __init__(self, graph: Graph, cmsis: bool) -> None:
        self.graph = graph
        self.cmsis = cmsis
        self.calls: list[Call] = []
        self.places: dict[str, Place] = {}
        self.storages: dict[str, Storage] = {}
        """By root tensor: its place at present."""
        self.arena: list[Storage] = []
        self.constants: list[Storage] = []
        self.states = {
            graph.inputs[name]: Storage(name, graph.tensors[graph.inputs[name]].bytes, STATES) for name in graph.states
        }
        self.index = 0
        self.where = ""
        self.roots = self._find_roots()
        self.last_use = self._find_last_uses()
        self.gates = {index: gates for gates in gru.find(graph) for index in range(gates.first, gates.last + 1)}
        """By operator: the GRU of whose gates it is a part."""
        self.fused: dict[int, tuple[Layer, tuple[Place, Place, Place]]] = {}
        """By first operator: GRUs whose gates one call computes."""
        self.state_roots = {name: self.roots[graph.outputs[name]] for name in graph.states}

    def program(self) -> Program:
        graph = self.graph
        for name in graph.inputs.values():
            self._check_type(graph.tensors[name], "input", name)
            self.places[name] = self._whole(name)
            self.storages[name] = self.states[name] if name in self.states else self._allocate(name, 0)
        inputs = {name: (self.storages[tensor], 0) for name, tensor in graph.inputs.items()}
        pending = list(graph.states)
        for self.index, operator in enumerate(graph.operators):
            self.where = f"operator {self.index} ({operator.kind} {operator.outputs[0]!r})"
            for name in (*operator.inputs, *operator.outputs):
                if graph.tensors[name].data is None:
                    self._check_type(graph.tensors[name], self.where, name)
            if not self._fused():
                KERNELS[operator.kind](self, operator)
            for name in [name for name in pending if self._state_is_due(name)]:
                self._move_state(name)
                pending.remove(name)
        outputs = {name: self._address(self.places[tensor]) for name, tensor in graph.outputs.items()}
        offsets, total = {}, 0
        for storage in self.states.values():
            offsets[storage.name] = total
            total += memory.aligned(storage.bytes)
        buffers = [memory.Buffer(s.name, s.bytes, s.first, s.last) for s in self.arena]
        return Program(graph, self.calls, offsets, total, memory.plan(buffers), inputs, outputs, self.constants)

    # What is known before the first call.

    def _find_roots(self) -> dict[str, str]:
        """For each activation the tensor whose bytes it is a view of."""
        roots = {name: name for name in self.graph.inputs.values()}
        for operator in self.graph.operators:
            for name in operator.outputs:
                source = {"RESHAPE": 0, "STRIDED_SLICE": 0, "SPLIT": 1}.get(operator.kind)
                root = None if source is None else roots.get(operator.inputs[source])
                roots[name] = name if root is None or self._is_copied(operator, root) else root
        return roots

    def _is_copied(self, operator: Operator, root: str) -> bool:
        """Whether views of `root` are copies: where they are outputs, unless of a whole new value."""
        wanted = set(operator.outputs) & set(self.graph.outputs.values())
        return bool(wanted) and (operator.kind != "RESHAPE" or root in self.states)

    def _find_last_uses(self) -> dict[str, int]:
        """For each root the last operator that reads it; for results, one after the last."""
        last: dict[str, int] = {}
        for index, operator in enumerate(self.graph.operators):
            for name in (*operator.inputs, *operator.outputs):
                if name in self.roots:
                    last[self.roots[name]] = index
        for name, tensor in self.graph.outputs.items():
            if name not in self.graph.states:
                last[self.roots[tensor]] = len(self.graph.operators)
        return last

    # States.

    def _state_is_due(self, name: str) -> bool:
        """Whether the new value exists and the old one is no longer read."""
        return self.graph.outputs[name] in self.places and self.last_use.get(self.graph.inputs[name], -1) <= self.index

    def _move_state(self, name: str) -> None:
        target = self.states[self.graph.inputs[name]]
        place = self.places[self.graph.outputs[name]]
        storage = self.storages[place.root]
        if storage is target:
            return
        self._copy(place, (target, 0), place.columns, f"state {name}")
        if storage.home == ARENA and place == self._whole(place.root):
            self.storages[place.root] = target

    def _made_in_place(self, root: str) -> Storage | None:
        """The state that `root` becomes, if its old value is not read any more from this operator on."""
        for name, candidate in self.state_roots.items():
            whole = self.graph.tensors[root].bytes == self.states[self.graph.inputs[name]].bytes
            if candidate == root and whole and self.last_use.get(self.graph.inputs[name], -1) < self.index:
                return self.states[self.graph.inputs[name]]
        return None

    # Storage and places.

    def _allocate(self, name: str, first: int) -> Storage:
        storage = Storage(name, self.graph.tensors[name].bytes, ARENA, first, first)
        self.arena.append(storage)
        return storage

    def _row_bytes(self, name: str, axis: int) -> int:
        """Bytes of the axes from `axis` on."""
        tensor = self.graph.tensors[name]
        return math.prod(tensor.shape[axis:]) * tensor.dtype.itemsize

    def _whole(self, name: str) -> Place:
        size = self.graph.tensors[name].bytes
        return Place(name, 0, 1, size, size)

    def _result(self, name: str, source: Place | None = None) -> tuple[Storage, int]:
        """The address for an operator's result; that of operand `source` if it is dense, as large and not read again."""
        self.places[name] = self._whole(name)
        storage = self._made_in_place(name)
        if storage is None and source is not None and source == self._whole(source.root):
            old = self.storages[source.root]
            fits = old.home == ARENA and source.columns == self.places[name].columns
            if fits and self.last_use[source.root] == self.index and not self._awaited(source.root):
                storage = old
        self.storages[name] = storage or self._allocate(name, self.index)
        return self._address(self.places[name])

    def _awaited(self, root: str) -> bool:
        """Whether a state still has to be copied from `root`."""
        return any(
            candidate == root and self.storages[root] is not self.states[self.graph.inputs[name]]
            for name, candidate in self.state_roots.items()
        )

    def _place(self, name: str) -> Place:
        """Where operand `name` lies; a constant gets a storage in flash."""
        tensor = self.graph.tensors[name]
        if tensor.data is not None and name not in self.places:
            self._check_type(tensor, self.where, name)
            storage = Storage(name, tensor.bytes, CONSTANT, values=tensor.data)
            self.constants.append(storage)
            self.places[name], self.storages[name] = self._whole(name), storage
        return self.places[name]

    def _see(self, name: str, place: Place) -> None:
        """Take the bytes at `place` for the value `name`; a copy of them where it has to be a root."""
        if self.roots[name] == name:
            self._copy(place, self._result(name), place.columns, "")
        else:
            self.places[name] = place

    def _address(self, place: Place) -> tuple[Storage, int]:
        storage = self.storages[place.root]
        storage.last = max(storage.last, self.index, *self._needed_until(place.root))
        return storage, place.offset

    def _needed_until(self, root: str) -> tuple[int, ...]:
        return (len(self.graph.operators),) if self.last_use.get(root, 0) == len(self.graph.operators) else ()

    def _dense(self, place: Place) -> Place:
        """`place`, or a dense copy of it that lives for this operator only."""
        if place.dense:
            return place
        size = place.rows * place.columns
        storage = self._temporary(f"copy of {place.root}", size)
        self._copy(place, (storage, 0), place.columns, "dense copy")
        self.storages[storage.name] = storage
        return Place(storage.name, 0, 1, size, size)

    def _temporary(self, name: str, size: int) -> Storage:
        """Bytes that live for this operator only."""
        storage = Storage(f"{len(self.arena)}: {name}", size, ARENA, self.index, self.index)
        self.arena.append(storage)
        return storage

    # Calls.

    def _copy(self, source: Place, target: tuple[Storage, int], stride: int, title: str) -> None:
        rows = source
        if source.dense and stride == source.columns:
            rows = replace(source, rows=1, columns=source.rows * source.columns)
        layout = self._layout(rows.rows, rows.columns, rows.stride, stride)
        target[0].last = max(target[0].last, self.index)
        self._call(Layer(COPY, "tinyse_rows", vars(layout)), (self._address(source), target), title)

    def _call(self, layer: Layer, operands: tuple[tuple[Storage, int], ...], title: str = "") -> None:
        operator = self.graph.operators[self.index]
        shapes = ", ".join(str(list(self.graph.shape(n))) for n in operator.inputs if n in self.roots)
        title = (
            title or f"{operator.kind} {operator.outputs[0]}: {shapes} -> {list(self.graph.shape(operator.outputs[0]))}"
        )
        self.calls.append(Call(self.index, title, layer, operands))

    def _layout(self, rows: int, columns: int, a_stride: int, b_stride: int) -> Rows:
        if rows == 1:
            a_stride = b_stride = 0
        if max(rows, columns, a_stride, b_stride) > layers.LARGEST_SIZE:
            raise InputError(f"{self.where}: more than {layers.LARGEST_SIZE} bytes in a row are not supported")
        return Rows(rows, columns, a_stride, b_stride)

    def _check_type(self, tensor: Tensor, where: str, name: str) -> None:
        if tensor.dtype not in (np.int8, np.int16):
            raise InputError(f"{where}: {name!r} is {tensor.dtype}, the kernels work on integers: quantize the network")

    # One method a kind of operator.

    def reshape(self, operator: Operator) -> None:
        self._see(operator.outputs[0], self._place(operator.inputs[0]))

    def split(self, operator: Operator) -> None:
        axis = int(np.ravel(self.graph.tensors[operator.inputs[0]].constant)[0])
        source = self._place(operator.inputs[1]).as_rows(self._row_bytes(operator.inputs[1], axis))
        if source is None:
            raise InputError(f"{self.where}: its input is a part of another SPLIT along a later axis, not supported")
        columns = source.columns // len(operator.outputs)
        for part, name in enumerate(operator.outputs):
            self._see(name, replace(source, offset=source.offset + part * columns, columns=columns))

    def strided_slice(self, operator: Operator) -> None:
        shape = self.graph.shape(operator.inputs[0])
        part = slices_of(self.graph, operator)
        cut = [axis for axis, (one, size) in enumerate(zip(part, shape, strict=True)) if one != slice(0, size)]
        if len(cut) > 1:
            raise InputError(f"{self.where}: it cuts axes {cut}, the kernels cut one")
        axis = cut[0] if cut else 0
        source = self._place(operator.inputs[0]).as_rows(self._row_bytes(operator.inputs[0], axis))
        if source is None:
            raise InputError(f"{self.where}: its input is a part of a value along a later axis, not supported")
        inner = self._row_bytes(operator.inputs[0], axis + 1)
        columns = (part[axis].stop - part[axis].start) * inner
        place = replace(source, offset=source.offset + part[axis].start * inner, columns=columns)
        self._see(operator.outputs[0], place)

    def concatenation(self, operator: Operator) -> None:
        name, axis = operator.outputs[0], operator.options["axis"]
        stride = self._row_bytes(name, axis)
        parts = [self._place(part) for part in operator.inputs]
        storage, offset = self._result(name)
        for part, source in zip(operator.inputs, parts, strict=True):
            columns = self._row_bytes(part, axis)
            rows = source.as_rows(columns) or self._dense(source).in_rows(columns)
            self._copy(
                rows, (storage, offset), stride, "" if offset == 0 else f"CONCATENATION {name}, from byte {offset}"
            )
            offset += columns

    def weighted(self, operator: Operator) -> None:
        parts = layers.convolutions(self.graph, operator, self.where, self.cmsis)
        source = self._dense(self._place(operator.inputs[0]))
        if len(parts) == 1:
            self._call(parts[0], (self._address(source), self._result(operator.outputs[0])))
        else:
            self._grouped(operator, parts, source)

    def _grouped(self, operator: Operator, parts: list[Layer], source: Place) -> None:
        """A convolution in groups: each group's channels are put together, convolved, and taken apart again."""
        channels, outputs = (self._row_bytes(name, -1) for name in (operator.inputs[0], operator.outputs[0]))
        address, columns, made = self._address(source), channels // len(parts), outputs // len(parts)
        rows = source.in_rows(channels)
        positions = self.graph.tensors[operator.outputs[0]].bytes // outputs
        given = self._temporary(f"group of {operator.inputs[0]}", rows.rows * columns)
        taken = self._temporary(f"group of {operator.outputs[0]}", positions * made)
        target, _ = self._result(operator.outputs[0])
        for part, layer in enumerate(parts):
            title = f"group {part + 1} of {len(parts)}"
            into = self._layout(rows.rows, columns, channels, columns)
            out = self._layout(positions, made, made, outputs)
            start = address[0], address[1] + part * columns
            self._call(Layer(COPY, "tinyse_rows", vars(into)), (start, (given, 0)), f"{title}: channels")
            self._call(layer, ((given, 0), (taken, 0)), f"{title}: {operator.kind} {operator.outputs[0]}")
            self._call(Layer(COPY, "tinyse_rows", vars(out)), ((taken, 0), (target, part * made)), f"{title}: outputs")

    def sum(self, operator: Operator) -> None:
        layer, exchanged = layers.addition(self.graph, operator, self.where)
        self._binary(operator, layer, operator.inputs[::-1] if exchanged else operator.inputs)

    def product(self, operator: Operator) -> None:
        self._binary(operator, layers.product(self.graph, operator, self.where), operator.inputs)

    def _binary(self, operator: Operator, layer: Layer, operands: tuple[str, ...]) -> None:
        name = operator.outputs[0]
        size = self.graph.tensors[name].bytes
        a, b = (self._spread(self._place(operand), operand, name) for operand in operands)
        columns = min((place.columns for place in (a, b) if not place.dense), default=size)
        if a.as_rows(columns) is None or b.as_rows(columns) is None:
            a, b, columns = self._dense(a), self._dense(b), size
        a, b = a.in_rows(columns), b.in_rows(columns)
        layout = self._layout(size // columns, columns, a.stride, b.stride)
        addresses = self._address(a), self._address(b)
        # In the place of an operand, unless the other one is another view of it.
        given = [self.places[operand] for operand in operands]
        safe = given[0].root != given[1].root or given[0] == given[1]
        target = self._result(name, next((place for place in given if safe and place.dense), None))
        self._call(replace(layer, fields={"layout": layout, **layer.fields}), (*addresses, target))

    # GRUs.

    def _fused(self) -> bool:
        """Whether this operator's work is done with its GRU's last one, and, with that, the call that does it."""
        gates = self.gates.get(self.index)
        if gates is not None and gates.first == self.index:
            self._plan_gates(gates)
        if gates is None or gates.first not in self.fused:
            return False
        if gates.last == self.index:
            layer, places = self.fused[gates.first]
            name = gates.operators["state"].outputs[0]
            addresses = [self._address(place) for place in places]
            self._call(layer, (*addresses, self._result(name)), f"gates of a GRU: {name}")
        return True

    def _plan_gates(self, gates: gru.Gates) -> None:
        """Fuses a GRU of int8 where its operands lie as the kernel reads them."""
        if self.graph.tensors[gates.state].dtype != np.int8:
            return
        products = []
        for parts in (gates.x, gates.h):
            places = {gate: self._place(name) for gate, name in parts.items()}
            start = min(place.offset for place in places.values())
            if len({replace(place, offset=0) for place in places.values()}) > 1:
                return
            place = places["new"]
            at = {gate: one.offset - start for gate, one in places.items()}
            products.append((gru.Thirds(place.rows, place.columns, place.stride, at), replace(place, offset=start)))
        (x, x_place), (h, h_place) = products
        state = self._place(gates.state)
        size = self.graph.tensors[gates.operators["state"].outputs[0]].bytes
        if x.at != h.at or any(part.rows * part.columns != size for part in (x, h, state)):
            return
        measures = (1, size, size) if state.dense else (state.rows, state.columns, state.stride)
        layer = gru.layer(self.graph, gates, self.where, x, h, measures, self._layout)
        if layer is not None:
            self.fused[gates.first] = layer, (x_place, h_place, state)

    def _spread(self, place: Place, operand: str, name: str) -> Place:
        """An operand that is repeated along leading axes, as rows of stride zero."""
        shape, full = self.graph.shape(operand), self.graph.shape(name)
        if math.prod(shape) == math.prod(full):
            return place
        own = tuple(shape)
        while own and own[0] == 1:
            own = own[1:]
        if own != full[len(full) - len(own) :]:
            raise InputError(f"{self.where}: {list(shape)} is repeated along inner axes of {list(full)}, not supported")
        repeats = math.prod(full) // math.prod(own)
        return replace(self._dense(place), rows=repeats, columns=place.rows * place.columns, stride=0)

    def unary(self, operator: Operator) -> None:
        layer = layers.function(self.graph, operator, self.where)
        source = self._place(operator.inputs[0])
        layout = self._layout(source.rows, source.columns, source.stride, 0)
        if source.dense:
            layout = self._layout(1, source.rows * source.columns, 0, 0)
        address = self._address(source)
        fields = {"layout": layout, **layer.fields}
        self._call(replace(layer, fields=fields), (address, self._result(operator.outputs[0], source)))


KERNELS: dict[str, Callable[[_Lowering, Operator], None]] = {
    "RESHAPE": _Lowering.reshape,
    "SPLIT": _Lowering.split,
    "STRIDED_SLICE": _Lowering.strided_slice,
    "CONCATENATION": _Lowering.concatenation,
    "CONV_2D": _Lowering.weighted,
    "DEPTHWISE_CONV_2D": _Lowering.weighted,
    "FULLY_CONNECTED": _Lowering.weighted,
    "ADD": _Lowering.sum,
    "SUB": _Lowering.sum,
    "MUL": _Lowering.product,
    "LOGISTIC": _Lowering.unary,
    "TANH": _Lowering.unary,
    "HARD_SWISH": _Lowering.unary,
    "LEAKY_RELU": _Lowering.unary,
    "QUANTIZE": _Lowering.unary,
}
