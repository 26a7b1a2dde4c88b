/**
 * Text as searches compare it: case, compatibility forms and the accents of Latin letters do not count. The same on what is kept
 * and on what is asked.
 */
export function foldText(text: string): string {
  return text.normalize('NFKD').replace(accents, '').toLowerCase();
}

const accents = /[\u0300-\u036f]/g;
