/** The database cannot be used. The message is one line for the administrator: what is wrong, and where. */
export class StorageOpenError extends Error {
  override name = 'StorageOpenError';
}
