import { isServerName, type ServerName } from './server-name.ts';

/** The opaque part of an `mxc://` URI. */
export type MediaId = string & { readonly __brand: 'MediaId' };

const mediaIdLengthMax = 255;

/** "allowing only alphanumeric (A-Za-z0-9), _ and - characters in the media-id segment" (client-server API, "Content repository"). */
export function isMediaId(value: unknown): value is MediaId {
  return typeof value === 'string' && value.length <= mediaIdLengthMax && /^[A-Za-z0-9_-]+$/.test(value);
}

/** `mxc://server/id` */
export function mxcUri(server: ServerName, mediaId: MediaId): string {
  return `mxc://${server}/${mediaId}`;
}

/** Undefined for what is no such address. */
export function parseMxcUri(uri: string): { server: ServerName; mediaId: MediaId } | undefined {
  const [, server, mediaId] = /^mxc:\/\/([^/]+)\/([^/]+)$/.exec(uri) ?? [];
  return isServerName(server) && isMediaId(mediaId) ? { server, mediaId } : undefined;
}
