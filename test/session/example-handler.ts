/** A module that is a handler; what else it exports does no harm. */
export const init = () => ["ok", 0];
export const handleIn = () => ["ok", 0];
export const room = "lobby";
