const nameLengthMax = 1_024;

/** Characters that cannot be shown, or turn the text around so that `gpj.exe` reads `exe.jpg`. */
const unshowable = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** A file's name as it is kept; undefined: none. */
export function cleanFileName(name: string | undefined): string | undefined {
  const clean = name?.replace(unshowable, '').slice(0, nameLengthMax).toWellFormed?.().trim() ?? '';
  return clean === '' ? undefined : clean;
}

/** RFC 6266: a name that is not ASCII is written by RFC 8187, and in ASCII for those who do not know that. */
export function encodeDisposition(kind: 'inline' | 'attachment', fileName: string | undefined): string {
  if (fileName === undefined) return kind;
  const plain = `${kind}; filename="${fileName.replace(/[^\x20-\x7e]/gu, '_').replace(/[\\"]/g, '\\$&')}"`;
  if (/^[\x20-\x7e]*$/.test(fileName)) return plain;
  return `${plain}; filename*=utf-8''${encodeExtended(fileName)}`;
}

function encodeExtended(text: string): string {
  return encodeURIComponent(text).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The name in another server's header; undefined where it has none that can be read. */
export function parseFileName(disposition: string | undefined): string | undefined {
  const text = disposition ?? '';
  const extended = /;\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]*)/i.exec(text)?.[1];
  if (extended !== undefined) {
    try {
      return cleanFileName(decodeURIComponent(extended));
    } catch {
      return undefined;
    }
  }
  const quoted = /;\s*filename\s*=\s*"((?:[^"\\]|\\.)*)"/i.exec(text)?.[1];
  if (quoted !== undefined) return cleanFileName(asUtf8(quoted.replace(/\\(.)/g, '$1')));
  return cleanFileName(asUtf8(/;\s*filename\s*=\s*([^;"\s]+)/i.exec(text)?.[1] ?? ''));
}

/** Headers are read as Latin-1; some servers write UTF-8 into them. */
function asUtf8(text: string): string {
  if (!/^[\x00-\xff]*$/.test(text)) return text;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(text, 'latin1'));
  } catch {
    return text;
  }
}
