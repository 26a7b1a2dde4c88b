/** Nobody becomes idle by the mere passing of time, so that what is measured are the changes that the load makes. */
export const steadyPresence = {
  currently_active_ms: 3_600_000,
  idle_after_ms: 7_200_000,
};
