import { invalidParam } from '../matrix/errors.ts';
import { parseSyncFilter } from '../matrix/filter.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import { Answer, type DeviceLists } from './answer.ts';
import { readScope, type ScopeDeps } from './scope.ts';
import { createDeviceListsStream, type DeviceListsDeps } from './streams/device-lists.ts';
import { parseSyncToken } from './token.ts';

/**
 * `GET /keys/changes`: what the `device_lists` of all syncs since `from` told or would have told. `to` is a "hint to check its caches are up to date"; ours
 * always are. Throws M_INVALID_PARAM for a token that is none.
 */
export type KeyChanges = (
  viewer: { readonly userId: UserId; readonly deviceId: DeviceId },
  range: { readonly from: string; readonly to: string },
) => Promise<DeviceLists>;

export function createKeyChanges(deps: DeviceListsDeps & ScopeDeps & { readonly now: () => number }): KeyChanges {
  const stream = createDeviceListsStream(deps);
  return async (viewer, { from, to }) => {
    const since = parseSyncToken(from);
    const upTo = deps.storage.position();
    if (!since || since.position > upTo || !parseSyncToken(to)) throw invalidParam('from and to are tokens of /sync');
    const scope = await readScope(deps, {
      viewer,
      since,
      after: since.position,
      upTo,
      presence: null,
      news: undefined,
      typing: { epoch: since.typing.epoch, number: since.typing.number },
      filter: parseSyncFilter({}),
      fullState: false,
      useStateAfter: false,
      lazy: null,
      nowMs: deps.now(),
    });
    const answer = new Answer();
    await stream.read(scope, answer);
    return answer.deviceLists;
  };
}
