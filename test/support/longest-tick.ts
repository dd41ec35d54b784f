/**
 * Measures the longest event-loop tick until the returned function is called, in milliseconds of CPU time: other
 * processes that use the same cores do not count.
 *
 * @param eachTick is called in each event-loop tick
 */
export const watchTicks = (eachTick: () => void = () => undefined): (() => number) => {
  let [longest, isWatching] = [0, true];
  let before = process.cpuUsage();
  const tick = (): void => {
    const { user, system } = process.cpuUsage(before);
    longest = Math.max(longest, (user + system) / 1_000);
    eachTick();
    before = process.cpuUsage();
    if (isWatching) setImmediate(tick);
  };
  setImmediate(tick);
  return () => {
    isWatching = false;
    return Math.round(longest);
  };
};
