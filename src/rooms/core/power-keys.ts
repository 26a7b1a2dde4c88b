import { stateKeyOf } from '../../matrix/pdu.ts';

/** What the power of a user in a room follows from. */
export const powerKeys = [stateKeyOf('m.room.create', ''), stateKeyOf('m.room.power_levels', '')];
