/** The messages of the task board: what clients send, and what they receive. */
import { z } from "zod";

export const COLUMNS = ["to do", "doing", "done"] as const;

const Task = z.object({ id: z.number(), title: z.string(), column: z.number() });
const who = z.array(z.string());

export const Command = z.discriminatedUnion("type", [
  z.object({ type: z.literal("add"), title: z.string().max(200) }),
  z.object({ type: z.literal("move"), id: z.number(), column: z.int().min(0).lt(COLUMNS.length) }),
  z.object({ type: z.literal("kick"), name: z.string().max(200) }),
]);

export const Event = z.discriminatedUnion("type", [
  z.object({ type: z.literal("board"), columns: z.array(z.string()), tasks: z.array(Task), who }),
  z.object({ type: z.literal("task"), task: Task }),
  z.object({ type: z.literal("who"), who }),
]);

export type Task = z.infer<typeof Task>;
export type Command = z.infer<typeof Command>;
export type Event = z.infer<typeof Event>;
