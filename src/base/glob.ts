/**
 * A test for whole strings: `*` stands for any number of characters, also none, `?` for exactly one, all else for itself; case
 * counts (appendices, "Glob-style matching"). Takes time in proportion to the string times the pattern's length at worst, whatever
 * the two hold: no regular expression is built of a stranger's pattern. A character is a code point.
 */
export function compileGlob(pattern: string): (text: string) => boolean {
  if (!/[*?]/.test(pattern)) return (text) => text === pattern;
  const glob = [...pattern.replace(/\*+/g, '*')];
  const [start] = glob;
  if (glob.length === 1 && start === '*') return () => true;
  return (text) => matches(glob, [...text]);
}

/** Goes back to the last `*` only: what earlier ones swallowed need never change. */
function matches(glob: readonly string[], text: readonly string[]): boolean {
  let inGlob = 0;
  let inText = 0;
  let star = -1;
  let starText = 0;
  while (inText < text.length) {
    const expected = glob[inGlob];
    if (expected === '*') {
      star = inGlob;
      starText = inText;
      inGlob += 1;
    } else if (expected !== undefined && (expected === '?' || expected === text[inText])) {
      inGlob += 1;
      inText += 1;
    } else if (star !== -1) {
      inGlob = star + 1;
      starText += 1;
      inText = starText;
    } else {
      return false;
    }
  }
  return glob[inGlob] === '*' ? inGlob + 1 === glob.length : inGlob === glob.length;
}
