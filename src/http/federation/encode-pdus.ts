import { breathe } from '../../base/breathe.ts';
import { type LongText, TextWriter } from '../../base/json/long-text.ts';

const pdusPerLook = 100;

/** A JSON object some of whose values are lists of PDUs. A text is JSON already; PDUs are given as JSON texts, of which there may be tens of thousands: others have turns between them. */
export async function encodeWithPdus(
  members: Readonly<Record<string, string | readonly string[]>>,
  { before = '', after = '' }: { readonly before?: string; readonly after?: string } = {},
): Promise<string | LongText> {
  const writer = new TextWriter();
  let open = `${before}{`;
  for (const [name, value] of Object.entries(members)) {
    writer.write(`${open}${JSON.stringify(name)}:`);
    open = ',';
    if (typeof value === 'string') writer.write(value);
    else await writeList(writer, value);
  }
  writer.write(`}${after}`);
  return writer.end();
}

async function writeList(writer: TextWriter, pdus: readonly string[]): Promise<void> {
  writer.write('[');
  for (const [index, pdu] of pdus.entries()) {
    writer.write(index === 0 ? pdu : `,${pdu}`);
    if (index % pdusPerLook === pdusPerLook - 1) await breathe();
  }
  writer.write(']');
}
