/**
 * A test whether a text holds, from word boundary to word boundary, what a glob stands for (client-server API, "Conditions":
 * `content.body`; also the pattern of content rules). Case does not count. "A word boundary is defined as the start or end of the
 * value, or any character not in the sets `[A-Z]`, `[a-z]`, `[0-9]` or `_`." Takes time in proportion to the text times the
 * pattern's length at worst, whatever the two hold.
 */
export function compileWordGlob(pattern: string): (text: WordText) => boolean {
  const pieces = pattern
    .toLowerCase()
    .split(/\*+/)
    .map((piece) => [...piece]);
  const literal = pieces.filter((piece) => !piece.includes('?')).map((piece) => piece.join(''));
  return (text) => literal.every((part) => text.has(part)) && text.holds(pieces);
}

/** The same for a plain word, in which no character has a meaning of its own. */
export function compileWord(word: string): (text: WordText) => boolean {
  const piece = [...word.toLowerCase()].map((character) => (character === '?' ? literalQuestionMark : character));
  const literal = word.toLowerCase();
  return (text) => text.has(literal) && text.holds([piece]);
}

/** Stands for a `?` that means itself; no text holds it, since it is longer than one character. */
const literalQuestionMark = '\\?';

/** A text made ready to be searched for words: once for all patterns. */
export class WordText {
  readonly #text: string;
  /** Taken apart when the first looks closer. */
  #characters: readonly string[] = [];
  #isWord: readonly boolean[] = [];
  #isApart = false;

  constructor(text: string) {
    this.#text = text.toLowerCase();
  }

  /** Whether this stands somewhere, be it within a word. Costs next to nothing, and is no for most. */
  has(part: string): boolean {
    return this.#text.includes(part);
  }

  /**
   * The pieces in this order, anything between them; the first begins and the last ends at a boundary. Each is taken as early as it
   * is found: what comes between two pieces may be as long as it likes, so a later place is never better.
   */
  holds(pieces: readonly (readonly string[])[]): boolean {
    this.#takeApart();
    const [first = [], ...rest] = pieces;
    if (rest.length === 0) return this.#find(first, 0, { begin: true, end: true }) !== -1;
    const last = rest.pop() ?? [];
    let at = this.#find(first, 0, { begin: true, end: false });
    if (at === -1) return false;
    at += first.length;
    for (const piece of rest) {
      const found = this.#find(piece, at, { begin: false, end: false });
      if (found === -1) return false;
      at = found + piece.length;
    }
    return this.#find(last, at, { begin: false, end: true }) !== -1;
  }

  #takeApart(): void {
    if (this.#isApart) return;
    this.#isApart = true;
    this.#characters = [...this.#text];
    this.#isWord = this.#characters.map((character) => /^[a-z0-9_]$/.test(character));
  }

  /** Where the piece stands at or behind `from`; -1: nowhere. */
  #find(piece: readonly string[], from: number, at: { begin: boolean; end: boolean }): number {
    for (let index = from; index + piece.length <= this.#characters.length; index += 1) {
      if (at.begin && !this.#isBoundary(index)) continue;
      if (at.end && !this.#isBoundary(index + piece.length)) continue;
      if (this.#standsAt(piece, index)) return index;
    }
    return -1;
  }

  #standsAt(piece: readonly string[], index: number): boolean {
    for (let offset = 0; offset < piece.length; offset += 1) {
      const expected = piece[offset];
      const found = this.#characters[index + offset];
      if (expected === '?') continue;
      if (expected === literalQuestionMark ? found !== '?' : found !== expected) return false;
    }
    return true;
  }

  /** Between two characters of which one is of no word, or at either end. */
  #isBoundary(index: number): boolean {
    if (index === 0 || index === this.#characters.length) return true;
    return !(this.#isWord[index - 1] === true && this.#isWord[index] === true);
  }
}
