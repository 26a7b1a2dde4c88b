import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics, noMetrics, type ReadableMetrics } from '../../../src/base/metrics.ts';

let metrics: ReadableMetrics;

afterEach(() => metrics.stop());

async function lines(name: string): Promise<string[]> {
  return (await metrics.read()).split('\n').filter((line) => line.startsWith(name));
}

describe('metrics', () => {
  it('are read as text for Prometheus, with their help', async () => {
    metrics = createMetrics();
    const count = metrics.count({ name: 'cakes_total', help: 'Cakes that were eaten' });
    expect(await lines('cakes_total')).toEqual(['cakes_total 0']);
    count.add();
    count.add(2);
    expect(await lines('cakes_total')).toEqual(['cakes_total 3']);
    expect(await metrics.read()).toContain('# HELP cakes_total Cakes that were eaten');
    expect(metrics.contentType).toContain('text/plain');
  });

  it('have every value of a label from the start', async () => {
    metrics = createMetrics();
    const label = { name: 'kind', values: ['plain', 'iced'] };
    const count = metrics.count({ name: 'cakes_total', help: 'Cakes', label });
    count.add(1, 'iced');
    expect(await lines('cakes_total')).toEqual(['cakes_total{kind="plain"} 0', 'cakes_total{kind="iced"} 1']);
  });

  it('ask a gauge when somebody looks', async () => {
    metrics = createMetrics();
    let left = 3;
    metrics.gauge({ name: 'cakes', help: 'Cakes that are left' }, () => left);
    const label = { name: 'kind', values: ['plain', 'iced'] };
    metrics.gauge({ name: 'plates', help: 'Plates', label }, () => ({ iced: left }));
    left = 2;
    expect(await lines('cakes')).toEqual(['cakes 2']);
    expect(await lines('plates')).toEqual(['plates{kind="plain"} 0', 'plates{kind="iced"} 2']);
  });

  it('sort values into buckets', async () => {
    metrics = createMetrics();
    const distribution = metrics.distribution({ name: 'slices', help: 'Slices', buckets: [1, 2] });
    distribution.observe(2);
    expect(await lines('slices')).toEqual([
      'slices_bucket{le="1"} 0',
      'slices_bucket{le="2"} 1',
      'slices_bucket{le="+Inf"} 1',
      'slices_sum 2',
      'slices_count 1',
    ]);
  });

  it('have those of the process beside them', async () => {
    metrics = createMetrics();
    const text = await metrics.read();
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_eventloop_lag_seconds'])
      expect(text).toContain(name);
  });

  it('of two servers in one process do not meet, and may be nothing at all', async () => {
    metrics = createMetrics();
    const other = createMetrics();
    metrics.count({ name: 'cakes_total', help: 'Cakes' }).add();
    other.count({ name: 'cakes_total', help: 'Cakes' });
    expect(await other.read()).toContain('cakes_total 0');
    other.stop();
    noMetrics.count({ name: 'cakes_total', help: 'Cakes' }).add();
    noMetrics.distribution({ name: 'x', help: 'X', buckets: [1] }).observe(1);
    noMetrics.gauge({ name: 'y', help: 'Y' }, () => 1);
    expect(await lines('cakes_total')).toEqual(['cakes_total 1']);
  });
});
