import { clientPath, type Route, userRoute } from '../route.ts';

/** The room versions that the server knows: which one new rooms get, and how far each can be relied on. */
export type ListRoomVersions = () => {
  readonly default: string;
  readonly available: Readonly<Record<string, 'stable' | 'unstable'>>;
};

/** Client-server API, "Capabilities negotiation". */
export function capabilitiesRoutes(deps: { listRoomVersions: ListRoomVersions }): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/capabilities'),
      handle: async () => ({
        capabilities: {
          'm.room_versions': deps.listRoomVersions(),
          'm.change_password': { enabled: true },
          'm.profile_fields': { enabled: true },
          'm.set_displayname': { enabled: true },
          'm.set_avatar_url': { enabled: true },
          'm.3pid_changes': { enabled: false },
          'm.get_login_token': { enabled: true },
          'm.forget_forced_upon_leave': { enabled: false },
        },
      }),
    }),
  ];
}
