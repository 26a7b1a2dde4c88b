import { TextDecoder } from 'node:util';

/** What a page says of itself, by The Open Graph protocol (ogp.me) and where that is missing by its title and description. */
export interface PageFacts {
  /** `og:title` and the like, without pictures; at most one of each. */
  readonly properties: Readonly<Record<string, string>>;
  /** As it stands there, maybe relative. */
  readonly imageUrl: string | undefined;
  readonly imageAlt: string | undefined;
}

const known: ReadonlySet<string> = new Set([
  'og:title',
  'og:type',
  'og:url',
  'og:description',
  'og:site_name',
  'og:locale',
]);
const valueLengthMax = 1_000;
const urlLengthMax = 4_096;

/**
 * Reads the beginning of a page, `bytesMax` at most, while it arrives, and no more than it needs: the rest is not asked for. Never
 * throws for what stands in it.
 */
export async function readPage(
  chunks: AsyncIterable<Uint8Array>,
  options: { readonly contentType: string | undefined; readonly bytesMax: number },
): Promise<PageFacts> {
  const { Parser } = await import('htmlparser2');
  const found = new Map<string, string>();
  let title = '';
  let isInTitle = false;
  let isHeadOver = false;
  const parser = new Parser({
    onopentag(name, attributes) {
      if (name === 'title') isInTitle = !found.has('title');
      else if (name === 'meta') noteMeta(found, attributes);
      else if (name === 'body') isHeadOver = true;
    },
    ontext(text) {
      if (isInTitle && title.length < valueLengthMax) title += text;
    },
    onclosetag(name) {
      if (name === 'title' && isInTitle) {
        isInTitle = false;
        found.set('title', title);
      }
    },
  });
  let decoder: TextDecoder | undefined;
  let bytes = 0;
  for await (const chunk of chunks) {
    decoder ??= decoderFor(options.contentType, chunk);
    parser.write(decoder.decode(chunk.subarray(0, options.bytesMax - bytes), { stream: true }));
    bytes += chunk.length;
    if (isHeadOver || bytes >= options.bytesMax) break;
  }
  parser.end();
  return present(found);
}

function noteMeta(found: Map<string, string>, attributes: Readonly<Record<string, string>>): void {
  const name = (attributes.property ?? attributes.name ?? '').toLowerCase();
  const value = attributes.content;
  const isUrl = name.startsWith('og:image');
  if (value === undefined || value.length > (isUrl ? urlLengthMax : valueLengthMax * 10) || found.has(name)) return;
  if (known.has(name) || isUrl || name === 'description' || name === 'twitter:image') found.set(name, value);
}

function present(found: ReadonlyMap<string, string>): PageFacts {
  const properties: Record<string, string> = {};
  for (const name of known) {
    const value = tidy(found.get(name));
    if (value !== undefined) properties[name] = value;
  }
  const title = properties['og:title'] ?? tidy(found.get('title'));
  const description = properties['og:description'] ?? tidy(found.get('description'));
  const image = ['og:image:secure_url', 'og:image', 'og:image:url', 'twitter:image'].map((name) =>
    found.get(name)?.trim(),
  );
  return {
    properties: {
      ...properties,
      ...(title === undefined ? {} : { 'og:title': title }),
      ...(description === undefined ? {} : { 'og:description': description }),
    },
    imageUrl: image.find((url) => url !== undefined && url !== ''),
    imageAlt: tidy(found.get('og:image:alt')),
  };
}

function tidy(text: string | undefined): string | undefined {
  const tidied =
    text
      ?.replace(/[\s\p{Cc}]+/gu, ' ')
      .trim()
      .slice(0, valueLengthMax)
      .toWellFormed() ?? '';
  return tidied === '' ? undefined : tidied;
}

/** By the header, else by what the page says in its first kilobyte, else UTF-8. */
function decoderFor(contentType: string | undefined, head: Uint8Array): TextDecoder {
  const inHeader = /charset\s*=\s*"?([\w:.-]+)/i.exec(contentType ?? '')?.[1];
  const beginning = Buffer.from(head.subarray(0, 1_024)).toString('latin1');
  const inPage = /<meta[^>]+charset\s*=\s*["']?([\w:.-]+)/i.exec(beginning)?.[1];
  for (const label of [inHeader, inPage]) {
    if (label === undefined) continue;
    try {
      return new TextDecoder(label);
    } catch {
      // An encoding that nobody knows.
    }
  }
  return new TextDecoder();
}
