/** The task board, without a server. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { handler, ok } from "websock-js";
import { connect, type TestClient } from "websock-js/testing";
import { Board } from "../../examples/board/board.ts";
import * as Hub from "../../examples/board/hub.ts";
import { COLUMNS, type Task } from "../../examples/board/messages.ts";
import { deferred } from "../support/promises.ts";

const received = ({ received }: TestClient): unknown[] => received.map(({ data }) => JSON.parse(String(data)));
const join = (board: string, name: string): Promise<TestClient> => connect(Board, { board, name });
const send = (client: TestClient, command: object): void => client.send(JSON.stringify(command));
const newBoard = (): string => crypto.randomUUID();

test("people on a board see its tasks, each other's changes, and who is there", async () => {
  const board = newBoard();
  const ada = await join(board, "Ada");
  send(ada, { type: "add", title: "write" });
  const ben = await join(board, "Ben");
  const stranger = await join(newBoard(), "Eve");
  const [, { task }] = received(ada) as [unknown, { task: Task }];
  expect(task).toEqual({ id: expect.any(Number), title: "write", column: 0 });
  expect(received(ben)).toEqual([{ type: "board", columns: COLUMNS, tasks: [task], who: ["Ada", "Ben"] }]);
  send(ben, { type: "move", id: task.id, column: 2 });
  const moved = { type: "task", task: { ...task, column: 2 } };
  expect(received(ben).slice(1)).toEqual([moved]);
  expect(received(ada).slice(2)).toEqual([{ type: "who", who: ["Ada", "Ben"] }, moved]);
  ben.close(1000);
  await ben.ended;
  expect(received(ada).at(-1)).toEqual({ type: "who", who: ["Ada"] });
  expect(received(stranger).length).toBe(1);
});

test("a user is kicked from every board, and nobody else is", async () => {
  const [first, second] = [newBoard(), newBoard()];
  const [ada, mallory, there] = [await join(first, "Ada"), await join(first, "Mallory"), await join(second, "Mallory")];
  send(ada, { type: "kick", name: "Mallory" });
  for (const { ended } of [mallory, there]) expect(await ended).toMatchObject({ code: 4003, text: "kicked" });
  expect([Hub.whoIsOn(first), Hub.whoIsOn(second)]).toEqual([["Ada"], []]);
});

test("a connection without a name is refused", async () => {
  const board = newBoard();
  const ada = await join(board, "Ada");
  const nameless = await join(board, "");
  expect((await nameless.ended).code).toBe(1011);
  expect(Hub.whoIsOn(board)).toEqual(["Ada"]);
  expect(received(ada).length).toBe(1);
});

test("a connection is no member of a board while its init is pending, nor if its init fails afterwards", async () => {
  const board = newBoard();
  const ada = await join(board, "Ada");
  const [entered, loaded] = [deferred(), deferred()];
  const failing = connect(
    handler()({
      init: async (_: void, self) => {
        Hub.join(self, board, "Ben");
        entered.resolve();
        await loaded.promise;
        throw new Error("the tasks could not be loaded");
      },
      handleIn: (_, state: never) => ok(state),
    }),
  );
  await entered.promise;
  expect(Hub.whoIsOn(board)).toEqual(["Ada"]);
  Hub.tell(board, { type: "who", who: [] });
  loaded.resolve();
  const client = await failing;
  expect((await client.ended).code).toBe(1011);
  expect(client.received).toEqual([]);
  expect(Hub.whoIsOn(board)).toEqual(["Ada"]);
  expect(received(ada).at(-1)).toEqual({ type: "who", who: [] });
});

test("a connection that is lost is removed from the board", async () => {
  const board = newBoard();
  const [ada, ben] = [await join(board, "Ada"), await join(board, "Ben")];
  ben.drop();
  await ben.ended;
  expect(Hub.whoIsOn(board)).toEqual(["Ada"]);
  expect(received(ada).at(-1)).toEqual({ type: "who", who: ["Ada"] });
});

test.each(["", "null", "[]", '{"type":"move","id":1,"column":3}', '{"type":"add"}', '{"type":"kick"}'])(
  "a command that is not valid closes the connection: %s",
  async (command) => {
    const client = await join(newBoard(), "Ada");
    client.send(command);
    expect(await client.ended).toMatchObject({ code: 1007, text: "invalid message" });
  },
);

test("the hub has at most 20 lines of code", () => {
  const source = readFileSync(new URL("../../examples/board/hub.ts", import.meta.url), "utf8");
  const lines = source.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("/**"));
  expect(lines.length).toBeLessThanOrEqual(20);
});
