/**
 * Reserved bits without a negotiated extension, and reserved opcodes (RFC 6455 §5.2): the server fails the connection.
 */
import { fails, section, wireClass } from "../case.ts";
import { binary, close, type Frame, frame, last, more, ping, pong, type Shape, text } from "../frames.ts";

const BITS = [1, 2, 3, 4, 5, 6, 7];

const named = (rsv: number): string => ["RSV1", "RSV2", "RSV3"].filter((_, i) => rsv & (4 >> i)).join(" and ");

const everyBit = (make: (shape: Shape) => Frame[], before: Frame[] = [], how: "whole" | 1 = "whole") =>
  BITS.map((rsv) => fails(named(rsv), 1002, make({ rsv }), { before, how }));

export const reservedBits = wireClass(3, "reserved bits", [
  section(
    "text",
    everyBit((shape) => [text("reserved", shape)]),
  ),
  section(
    "empty text",
    everyBit((shape) => [text("", shape)]),
  ),
  section(
    "binary, byte by byte",
    everyBit((shape) => [binary("reserved", shape)], [], 1),
  ),
  section(
    "text after a valid one, then a ping",
    everyBit((shape) => [text("reserved", shape), ping()], [text("valid")]),
  ),
  section(
    "first fragment",
    everyBit((shape) => [text("reserved", { fin: false, ...shape }), last("end")]),
  ),
  section(
    "last fragment",
    everyBit((shape) => [text("valid", { fin: false }), last("reserved", shape)]),
  ),
  section(
    "middle fragment",
    everyBit((shape) => [text("valid", { fin: false }), more("reserved", shape), last()]),
  ),
  section(
    "ping",
    everyBit((shape) => [ping("reserved", shape)]),
  ),
  section(
    "pong",
    everyBit((shape) => [pong("reserved", shape), ping()]),
  ),
  section(
    "close",
    everyBit((shape) => [close(1000, "", shape)]),
  ),
]);

const OPCODES = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15];

const everyOpcode = (make: (opcode: number) => Frame[], before: Frame[] = [], how: "whole" | 1 = "whole") =>
  OPCODES.map((opcode) => fails(`opcode ${opcode}`, 1002, make(opcode), { before, how }));

export const opcodes = wireClass(4, "reserved opcodes", [
  section(
    "empty",
    everyOpcode((opcode) => [frame(opcode)]),
  ),
  section(
    "with a payload",
    everyOpcode((opcode) => [frame(opcode, "reserved")]),
  ),
  section(
    "byte by byte",
    everyOpcode((opcode) => [frame(opcode, "reserved")], [], 1),
  ),
  section(
    "after a valid message, then a ping",
    everyOpcode((opcode) => [frame(opcode, "x"), ping()], [text("valid")]),
  ),
  section(
    "within a fragmented message",
    everyOpcode((opcode) => [text("a", { fin: false }), frame(opcode, "x"), last("b")]),
  ),
  section(
    "not the last fragment",
    everyOpcode((opcode) => [frame(opcode, "x", { fin: false }), last("end")]),
  ),
]);
