/** What is promised of a figure. A share of the limit is for rates, times the limit for durations. */
export type Bound =
  | { readonly atMost: number }
  | { readonly atLeast: number }
  | { readonly shareOfLimit: number }
  | { readonly timesLimit: number };

export interface Measure {
  readonly name: string;
  /** Such as `ms`, `/s`, `MiB`. */
  readonly unit: string;
  readonly value: number;
  /** What the machine gives without us, in the same run and the same unit. */
  readonly limit?: { readonly what: string; readonly value: number };
  readonly bound?: Bound;
  /** What one must know to read the figure. */
  readonly note?: string;
}

/** `over`: the bound is missed, by no more than half: a noisy neighbour can do that. `failed`: by more. */
export type Judgement = 'unbounded' | 'kept' | 'over' | 'failed';

/** By how much a bound may be missed before the run fails. */
const tolerance = 1.5;

/** The bound in the unit of the figure, and which side of it is good. Undefined without one, or without the limit that it speaks of. */
export function boundOf({ bound, limit }: Measure): { value: number; side: 'atMost' | 'atLeast' } | undefined {
  if (!bound) return undefined;
  if ('atMost' in bound) return { value: bound.atMost, side: 'atMost' };
  if ('atLeast' in bound) return { value: bound.atLeast, side: 'atLeast' };
  if (!limit) return undefined;
  if ('shareOfLimit' in bound) return { value: limit.value * bound.shareOfLimit, side: 'atLeast' };
  return { value: limit.value * bound.timesLimit, side: 'atMost' };
}

export function judge(measure: Measure): Judgement {
  const bound = boundOf(measure);
  if (!bound) return 'unbounded';
  const isMost = bound.side === 'atMost';
  if (isMost ? measure.value <= bound.value : measure.value >= bound.value) return 'kept';
  const missedBy = isMost ? measure.value / bound.value : bound.value / measure.value;
  // A figure that is no number keeps nothing.
  return missedBy <= tolerance ? 'over' : 'failed';
}

const judgementTexts: Readonly<Record<Judgement, string>> = {
  unbounded: '',
  kept: 'kept',
  over: 'over',
  failed: 'FAILED',
};

/** The figures as a table for a person: ours, the bare limit of the same run, our share of it, the bound, the judgement. */
export function tableOf(measures: readonly Measure[]): string {
  const rows = [
    ['', 'ours', 'bare limit', 'ours/limit', 'bound', ''],
    ...measures.map((measure) => [
      measure.name,
      `${numberText(measure.value)} ${measure.unit}`,
      measure.limit ? `${numberText(measure.limit.value)} ${measure.unit} (${measure.limit.what})` : '',
      measure.limit ? (measure.value / measure.limit.value).toFixed(2) : '',
      boundText(measure),
      judgementTexts[judge(measure)],
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const notes = measures.flatMap(({ name, note }) => (note === undefined ? [] : [`${name}: ${note}`]));
  return `${[...lines, ...(notes.length > 0 ? ['', ...notes] : [])].join('\n')}\n`;
}

function boundText(measure: Measure): string {
  const bound = boundOf(measure);
  return bound ? `${bound.side === 'atMost' ? '≤' : '≥'} ${numberText(bound.value)} ${measure.unit}` : '';
}

/** Three digits that count. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-GB').replaceAll(',', ' ');
  return String(Number(value.toPrecision(3)));
}
