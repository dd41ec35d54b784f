/** What tests need besides the packages of npm. */

const isCi = process.env.CI !== undefined && !["", "0", "false"].includes(process.env.CI);

/**
 * Whether tests can use something. If not, they are skipped with a message, except in CI, where nobody would notice.
 *
 * @param problem what is missing, and how to install it
 * @throws Error in CI, if it is missing
 */
export const isUsable = (isInstalled: boolean, problem: string): boolean => {
  if (isInstalled) return true;
  if (isCi) throw new Error(problem);
  console.warn(`SKIPPED, ${problem}`);
  return false;
};
