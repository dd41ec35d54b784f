/** A module that is a handler, with another export. */
export const init = () => ["ok", 0];
export const handleIn = () => ["ok", 0];
export const room = "lobby";
