/** The types of `charts.mjs`, for its test. */
export interface Chart {
  readonly name: string;
  readonly sentence: string;
  readonly rows?: readonly { readonly label: string; readonly share: number; readonly disturbed: boolean }[];
  readonly points?: readonly { readonly label: string; readonly x: number; readonly y: number }[];
}
export function charts(results: Readonly<Record<string, object>>): Chart[];
