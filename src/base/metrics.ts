import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Something that only grows. */
export interface Count {
  /** `label` is one of those that the metric was declared with. */
  add(by?: number, label?: string): void;
}

/** Values that are sorted into buckets. */
export interface Distribution {
  observe(value: number): void;
}

export interface MetricName {
  /** As Prometheus wants it: words with underscores, the unit last, `_total` for what only grows. */
  readonly name: string;
  /** One sentence for an administrator. */
  readonly help: string;
}

export interface LabelledName extends MetricName {
  /** What the values of a labelled metric tell apart, and all of these values: the number of series is bounded. */
  readonly label?: { readonly name: string; readonly values: readonly string[] };
}

/** What the parts of the server count. Never anything about one user, room or server. */
export interface Metrics {
  count(metric: LabelledName): Count;
  distribution(metric: MetricName & { readonly buckets: readonly number[] }): Distribution;
  /** Asked for when somebody looks; by label value where there is a label. */
  gauge(metric: LabelledName, read: () => number | Readonly<Record<string, number>>): void;
}

export interface ReadableMetrics extends Metrics {
  readonly contentType: string;
  /** The text that a Prometheus server fetches. */
  read(): Promise<string>;
  /** Forgets everything and stops measuring the process. */
  stop(): void;
}

/** Costs nothing: for a server that nobody watches, and for tests. */
export const noMetrics: Metrics = {
  count: () => ({ add() {} }),
  distribution: () => ({ observe() {} }),
  gauge() {},
};

/** Metrics that can be read, with those of the process (CPU, memory, delay of the event loop) beside them. */
export function createMetrics(): ReadableMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    contentType: registry.contentType,
    read: () => registry.metrics(),
    stop: () => registry.clear(),

    count({ name, help, label }) {
      const counter = new Counter({ name, help, registers, labelNames: label ? [label.name] : [] });
      // A series that stays absent until it first grows loses its first steps.
      for (const value of label?.values ?? []) counter.inc({ [label?.name ?? '']: value }, 0);
      return {
        add(by = 1, value) {
          if (label && value !== undefined) counter.inc({ [label.name]: value }, by);
          else counter.inc(by);
        },
      };
    },

    distribution({ name, help, buckets }) {
      const histogram = new Histogram({ name, help, registers, buckets: [...buckets] });
      return { observe: (value) => histogram.observe(value) };
    },

    gauge({ name, help, label }, read) {
      new Gauge({
        name,
        help,
        registers,
        labelNames: label ? [label.name] : [],
        collect() {
          const value = read();
          if (typeof value === 'number') this.set(value);
          else for (const each of label?.values ?? []) this.set({ [label?.name ?? '']: each }, value[each] ?? 0);
        },
      });
    },
  };
}
