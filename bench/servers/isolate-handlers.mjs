/** The handlers that are measured isolated and direct: a module for each would be the same lines again. */

/** @param {{ burn: number }} arg milliseconds of CPU time that each message takes */
export const init = ({ burn }) => ["ok", burn];

/** @param {any} message @param {number} milliseconds */
export const handleIn = (message, milliseconds) => {
  if (message.data === "bomb") for (const kept = []; ; ) kept.push(new Array(1_000).fill(0));
  if (milliseconds > 0) burn(milliseconds);
  return ["push", message, milliseconds];
};

/** How many steps of {@link spin} take a millisecond. A clock would also count the time of other threads. */
const STEPS = 660_000;

let sink = 0;

/** @param {number} milliseconds */
const burn = (milliseconds) => {
  let x = sink | 1;
  for (let i = 0; i < STEPS * milliseconds; i++) x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0;
  sink = x;
};
