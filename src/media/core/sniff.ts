/** What the first bytes of a file say it is, as a media type; null: nothing known. */
export async function sniff(head: Uint8Array): Promise<string | null> {
  // Loaded with the first file: a start needs none of it.
  const { fileTypeFromBuffer } = await import('file-type');
  try {
    return (await fileTypeFromBuffer(head))?.mime ?? null;
  } catch {
    // A hostile beginning of a container that ends in the middle of something.
    return null;
  }
}
