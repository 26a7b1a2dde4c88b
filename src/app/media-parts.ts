import { resolve } from 'node:path';
import { systemDns } from '../base/network/dns.ts';
import { createOutgoingHttp, type OutgoingHttp } from '../base/network/outgoing-http.ts';
import type { MediaSettings } from '../media/core/settings.ts';
import { createMedia, type Media } from '../media/media.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { Config } from './config/shape.ts';
import type { Outgoing } from './outgoing.ts';
import { reasonOf, StartError } from './start-error.ts';
import type { Surroundings } from './surroundings.ts';
import { lanternVersion } from './version.ts';

const dayMs = 24 * 60 * 60_000;

/** The content repository with the settings of the configuration. */
export function createMediaOf(surroundings: Surroundings, neighbours: { storage: Storage; outgoing: Outgoing }): Media {
  const { config, clock, random, log } = surroundings;
  const { storage, outgoing } = neighbours;
  const previewHttp = createPreviewHttp(surroundings);
  const folder = resolve(config.data_dir, config.media.folder);
  const media = createMedia({
    serverName: config.server_name,
    storage,
    folder,
    settings: settingsOf(config),
    requests: config.federation.enabled ? outgoing.media : undefined,
    http: outgoing.http,
    previewHttp,
    userAgent: `Lantern/${lanternVersion}`,
    clock,
    random,
    log,
  });
  return {
    ...media,
    async start() {
      await media.start().catch((error: unknown) => {
        const reason = `${folder}: cannot be written (${reasonOf(error)})`;
        throw new StartError(`${reason}. Choose another folder for the media.`, ['media', 'folder']);
      });
    },
    async stop() {
      await previewHttp?.stop();
      await media.stop();
    },
  };
}

/** Users name these pages, so private addresses are a setting of their own, and no authority but the system's counts. */
function createPreviewHttp({ config, clock }: Surroundings): OutgoingHttp | undefined {
  if (!config.media.url_previews) return undefined;
  const allowPrivateAddresses = config.media.url_previews_of_private_addresses;
  return createOutgoingHttp({ clock, dns: systemDns, allowPrivateAddresses });
}

function settingsOf({ media }: Config): MediaSettings {
  return {
    uploadBytesMax: media.upload_max_bytes,
    userBytesMax: media.user_quota_bytes,
    awaitedMax: media.pending_uploads_max,
    awaitedMs: media.pending_upload_ms,
    remoteBytesMax: media.remote_max_bytes,
    copiesBytesMax: media.remote_cache_bytes,
    copiesKeepMs: media.remote_keep_days === null ? null : media.remote_keep_days * dayMs,
    thumbnailSizes: media.thumbnail_sizes,
    thumbnailPixelsMax: media.thumbnail_max_pixels,
  };
}
