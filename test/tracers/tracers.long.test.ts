/** Beside a tracer, an upgrade is a request like any other, the first of a server included. */
import { describe, expect, test } from "vitest";
import { haveTracer, type Span, spansOf, TRACERS, type Tracer } from "../support/tracers.ts";

const named = (spans: readonly Span[], name: string): readonly Span[] => spans.filter((span) => span.name === name);

describe.each(Object.keys(TRACERS) as Tracer[])("%s", (tracer) => {
  test.skipIf(!haveTracer(tracer))(
    "each of two upgrades at the same time has a trace and a scope of its own",
    async () => {
      const spans = await spansOf(tracer);
      const [ann, eve, page] = ["/ann", "/eve", "/page"].map((path) => {
        const [span, ...more] = named(spans, path);
        // No request is seen twice.
        expect(more).toEqual([]);
        return span!;
      });
      expect(new Set([ann!.trace, eve!.trace, page!.trace]).size).toBe(3);
      // What a route does belongs to its own upgrade.
      const inRoutes = named(spans, "in the route");
      expect(inRoutes).toHaveLength(2);
      for (const upgrade of [ann!, eve!]) {
        const [own] = inRoutes.filter(({ trace }) => trace === upgrade.trace);
        expect(own!.parent).toBe(upgrade.id);
        expect(`/${own!.user ?? upgrade.user}`).toBe(upgrade.name);
      }
      expect(page!.user).toBeUndefined();
      // Sentry's: no route has written into the scope that all requests share.
      for (const global of named(spans, "global")) expect(global.user).toBeUndefined();
    },
  );

  test.skipIf(!haveTracer(tracer))("what a callback does belongs to the upgrade of its connection", async () => {
    const spans = await spansOf(tracer, "callbacks");
    const upgrades = [...named(spans, "/ann"), ...named(spans, "/eve")];
    expect(upgrades).toHaveLength(2);
    const inCallbacks = named(spans, "in handleIn");
    expect(inCallbacks).toHaveLength(2);
    for (const { trace, parent, user } of inCallbacks) {
      const [own] = upgrades.filter((upgrade) => upgrade.trace === trace);
      expect(own).toMatchObject({ name: `/${user}`, id: parent });
    }
    expect(named(spans, "/page")[0]!.user).toBeUndefined();
    for (const global of named(spans, "global")) expect(global.user).toBeUndefined();
  });
});
