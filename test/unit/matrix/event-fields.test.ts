import { describe, expect, it } from 'vitest';
import { compileEventFields } from '../../../src/matrix/event-fields.ts';

const event = {
  type: 'm.room.message',
  sender: '@a:b',
  content: { body: 'x', 'm.relates_to': { event_id: '$y' }, deep: { a: 1, b: [1, 2] }, 'back\\slash': 1 },
  unsigned: { age: 1 },
};
const only = (...paths: string[]) => JSON.parse(compileEventFields(paths)(JSON.stringify(event)));

describe('the fields of an event that a filter asks for', () => {
  it('are those at the paths, whole', () => {
    expect(only('type')).toEqual({ type: 'm.room.message' });
    expect(only('content')).toEqual({ content: event.content });
    expect(only('content.body', 'sender')).toEqual({ sender: '@a:b', content: { body: 'x' } });
    expect(only('content.deep.b', 'content.deep')).toEqual({ content: { deep: event.content.deep } });
  });

  it('may have dots and backslashes in their names', () => {
    expect(only('content.m\\.relates_to.event_id')).toEqual({ content: { 'm.relates_to': { event_id: '$y' } } });
    expect(only('content.m.relates_to')).toEqual({ content: {} });
    expect(only('content.back\\\\slash')).toEqual({ content: { 'back\\slash': 1 } });
  });

  it('are none where nothing is at the path', () => {
    expect(only()).toEqual({});
    expect(only('', 'nothing', 'type.more', '__proto__', 'constructor')).toEqual({});
    expect(only('content.deep.b.0')).toEqual({ content: { deep: {} } });
  });
});
