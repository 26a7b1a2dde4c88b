import { expect, it } from 'vitest';
import { Ending } from '../../../../src/base/tasks/ending.ts';

function listener() {
  let count = 0;
  const handleEvent = (): void => {
    count += 1;
  };
  return { handleEvent, heard: () => count };
}

it('tells its listeners once, and none who stopped listening', () => {
  const ending = new Ending();
  const [stays, goes] = [listener(), listener()];
  ending.addEventListener('abort', stays);
  ending.addEventListener('abort', goes);
  ending.removeEventListener('abort', goes);
  expect(ending.aborted).toBe(false);
  ending.abort();
  ending.abort();
  expect(ending.aborted).toBe(true);
  expect([stays.heard(), goes.heard()]).toEqual([1, 0]);
});

it('gives a signal that says the same, asked for before the end or after it', () => {
  const ending = new Ending();
  const before = listener();
  const { signal } = ending;
  signal.addEventListener('abort', before);
  expect(signal.aborted).toBe(false);
  ending.abort();
  expect([signal.aborted, before.heard()]).toEqual([true, 1]);
  const late = new Ending();
  late.abort();
  expect(late.signal.aborted).toBe(true);
});
