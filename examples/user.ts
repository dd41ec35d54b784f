/** Who asks, as a cookie says: an example's stand-in for a session. */
export const userOf = (cookies: string | null | undefined): string | undefined =>
  /(?:^|; )user=(\w+)/.exec(cookies ?? "")?.[1];
