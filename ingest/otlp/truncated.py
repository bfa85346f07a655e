"""What is complete in a protobuf trace message that was cut off: every span before the cut."""

# ExportTraceServiceRequest.resource_spans, ResourceSpans.scope_spans: the containers that a cut may go through.
CONTAINERS = (1, 2)
FIXED_BYTES = {1: 8, 5: 4}  # wire types of fixed length


def complete_part(body: bytes, containers: tuple[int, ...] = CONTAINERS) -> bytes:
    """The message with every complete field, containers that were cut shortened to what they hold."""
    kept, at = bytearray(), 0
    while at < len(body):
        start = at
        tag, at = _varint(body, at)
        field, wire = tag >> 3, tag & 7
        if wire == 2:
            length, at = _varint(body, at)
            end = at + length
        elif wire == 0:
            _, end = _varint(body, at)
        elif wire in FIXED_BYTES:
            end = at + FIXED_BYTES[wire]
        else:
            break
        if end > len(body):
            if wire == 2 and containers and field == containers[0]:
                inner = complete_part(body[at:], containers[1:])
                kept += _encoded(tag) + _encoded(len(inner)) + inner
            break
        kept += body[start:end]
        at = end
    return bytes(kept)


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A varint and where it ends; beyond the body when it is cut or too long."""
    value = shift = 0
    while at < len(body) and shift < 70:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return 0, len(body) + 1


def _encoded(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
