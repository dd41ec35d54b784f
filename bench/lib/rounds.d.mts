/** The types of `rounds.mjs`, for its test. */
export interface Participant {
  readonly label: string;
  readonly server: string;
  readonly dist?: string;
}

export interface Row<Sample> extends Participant {
  readonly samples: readonly (Sample | undefined)[];
  readonly problem?: string;
  readonly missing?: boolean;
}

export interface Comparison {
  readonly ratio: number;
  readonly ofMedians: number;
  readonly low: number;
  readonly high: number;
  readonly min: number;
  readonly max: number;
  readonly ratios: readonly number[];
}

export function takeTurns<Sample>(
  participants: readonly Participant[],
  rounds: number,
  measure: (participant: Participant, round: number) => Promise<Sample>,
  options?: { readonly onRound?: () => void; readonly stopped?: () => boolean },
): Promise<Row<Sample>[]>;

export function compare<Sample>(
  ours: Row<Sample>,
  other: Row<Sample>,
  of: (sample: Sample) => number,
): Comparison | undefined;
