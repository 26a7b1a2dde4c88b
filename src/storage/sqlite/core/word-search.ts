/**
 * A word, or what a person took for one, as a string in the language of FTS5: nothing in it is an operator. FTS5 reads its language up to the first
 * NUL, so this stands for what separates words there: a space.
 */
export function quoteWord(word: string): string {
  return `"${word.replaceAll('"', '""').replaceAll('\0', ' ')}"`;
}
