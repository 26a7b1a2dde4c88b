import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { OutgoingHttp } from '../base/network/outgoing-http.ts';
import type { Random } from '../base/random.ts';
import { Background } from '../base/tasks/background.ts';
import type { MediaRequests } from '../federation-out/media-requests.ts';
import type { UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { MediaAddress } from '../storage/contract/media.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { type Content, Contents, type FindWish } from './contents.ts';
import { Arrivals } from './core/arrivals.ts';
import { MediaFiles } from './core/files.ts';
import { MediaFolder } from './core/folder.ts';
import { createImages } from './core/images.ts';
import type { MediaSettings } from './core/settings.ts';
import { createWebFetch } from './core/web-fetch.ts';
import { type Preview, Previews } from './previews.ts';
import { createQuarantine, type Quarantine } from './quarantine.ts';
import { RemoteMedia } from './remote.ts';
import { Sweeper } from './sweeper.ts';
import { Thumbnails, type ThumbnailWish } from './thumbnails.ts';
import { type IncomingContent, Uploads } from './uploads.ts';

/** The content repository. What each call throws stands where it is implemented. */
export interface Media {
  readonly uploadBytesMax: number;
  upload(uploader: UserId, content: IncomingContent): Promise<MediaAddress>;
  create(uploader: UserId): Promise<MediaAddress & { expiresAtMs: number }>;
  uploadTo(uploader: UserId, address: MediaAddress, content: IncomingContent): Promise<void>;
  get(wish: FindWish): Promise<Content>;
  getThumbnail(wish: FindWish, thumbnail: ThumbnailWish): Promise<Content>;
  /** Undefined: there are no previews. */
  readonly preview: ((url: string) => Promise<Preview>) | undefined;
  readonly quarantine: Quarantine;
  /** Before the first call. */
  start(): Promise<void>;
  idle(): Promise<void>;
  /** Ends what waits and what is fetched. */
  stop(): Promise<void>;
}

export interface MediaDeps {
  readonly serverName: ServerName;
  readonly storage: Storage;
  readonly folder: string;
  readonly settings: MediaSettings;
  /** Undefined: there is no federation. */
  readonly requests: MediaRequests | undefined;
  /** For what other servers keep elsewhere. */
  readonly http: OutgoingHttp;
  /** For pages that users name; undefined: none are previewed. */
  readonly previewHttp: OutgoingHttp | undefined;
  readonly userAgent: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const awaitingMax = 2_000;

export function createMedia(deps: MediaDeps): Media {
  const { serverName, storage, settings, clock, random, log, userAgent, requests } = deps;
  const background = new Background({ log, tasksMax: 2_000 });
  const folder = new MediaFolder(deps);
  const files = new MediaFiles({ folder, storage, clock });
  const arrivals = new Arrivals({ clock, waitingMax: awaitingMax });
  const images = createImages({ pixelsMax: settings.thumbnailPixelsMax, log });
  const sweeper = new Sweeper({ storage, files, settings, background, clock });
  const onStored = (): void => {
    if (settings.copiesBytesMax !== null) sweeper.sweep();
  };
  const web = createWebFetch({ http: deps.http, clock, userAgent });
  const remote = new RemoteMedia({ requests, web, files, settings, background, onStored, clock, log });
  const contents = new Contents({ serverName, storage, files, arrivals, remote, clock, log });
  const uploads = new Uploads({ serverName, storage, files, arrivals, settings, clock, random });
  const thumbnails = new Thumbnails({ storage, files, contents, images, settings });
  const previews =
    deps.previewHttp &&
    new Previews({
      ...{ serverName, files, images, settings, background, onStored, clock, random, log },
      web: createWebFetch({ http: deps.previewHttp, clock, userAgent }),
    });
  return {
    uploadBytesMax: settings.uploadBytesMax,
    upload: (uploader, content) => uploads.upload(uploader, content),
    create: (uploader) => uploads.create(uploader),
    uploadTo: (uploader, address, content) => uploads.uploadTo(uploader, address, content),
    get: async (wish) => contents.present(await contents.get(wish)),
    getThumbnail: async (wish, thumbnail) => thumbnails.get(await contents.get(wish), thumbnail),
    preview: previews && ((url) => previews.get(url)),
    quarantine: createQuarantine({ storage, clock, log }),
    async start() {
      await folder.prepare();
      sweeper.start();
    },
    idle: () => background.idle(),
    async stop() {
      sweeper.stop();
      arrivals.stop();
      await background.stop();
    },
  };
}
