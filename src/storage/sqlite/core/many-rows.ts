import type { Connection } from './database.ts';

export type Value = string | number | null;

/** Rows of one statement. Larger ones would save little more. */
const sizes = [16, 4, 1];

/**
 * Inserts rows of one table by a few statements, whose number grows with a sixteenth of theirs. `into`: `table (column, …)`; every row gives all
 * its columns in that order.
 */
export function prepareInsertMany(
  connection: Connection,
  into: string,
  { insert: verb = 'INSERT' }: { readonly insert?: 'INSERT' | 'INSERT OR REPLACE' } = {},
): (rows: readonly (readonly Value[])[]) => void {
  const width = into.slice(into.indexOf('(')).split(',').length;
  const row = `(${Array(width).fill('?').join(', ')})`;
  const statements = sizes.map((size) => ({
    size,
    insert: connection.prepare<Value[]>(`${verb} INTO ${into} VALUES ${Array(size).fill(row).join(', ')}`),
  }));
  return (rows) => {
    let from = 0;
    for (const { size, insert } of statements) {
      for (; from + size <= rows.length; from += size) insert.run(...rows.slice(from, from + size).flat());
    }
  };
}
