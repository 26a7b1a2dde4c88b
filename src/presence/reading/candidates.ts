import { breathe } from '../../base/breathe.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Ground } from '../core/facts.ts';
import { listNamed } from '../core/rules.ts';
import type { LocalSubjects, RemoteSubjects } from '../core/subjects.ts';

export interface CandidatesDeps {
  tracker: Pick<LocalSubjects, 'find' | 'subjects' | 'size'>;
  remote: Pick<RemoteSubjects, 'has' | 'subjects' | 'size'>;
  roster: Pick<Roster, 'roomsOf' | 'usersIn' | 'usersSharingWith' | 'shareRoom'>;
  ground: Pick<Ground, 'rulesOf'>;
}

/**
 * The viewer, and everybody of whom they might be given something: who has a record and shares a room with them, by the shorter
 * of two ways, or is named by them. Some may be visited twice, or who joins or leaves meanwhile not at all.
 */
export async function forEachCandidate(
  { roster, tracker, remote, ground }: CandidatesDeps,
  viewer: UserId,
  visit: (subject: UserId) => void,
): Promise<void> {
  visit(viewer);
  for (const subject of listNamed(ground.rulesOf(viewer)))
    if (subject !== viewer && !roster.shareRoom(subject, viewer)) visit(subject);
  const records = tracker.size + remote.size;
  let members = 0;
  for (const roomId of roster.roomsOf(viewer)) members += roster.usersIn(roomId).size;
  let count = 0;
  if (members <= records) {
    for (const subject of roster.usersSharingWith(viewer)) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (tracker.find(subject) || remote.has(subject)) visit(subject);
    }
    return;
  }
  for (const subjects of [[...tracker.subjects()], [...remote.subjects()]]) {
    for (const subject of subjects) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (subject !== viewer && roster.shareRoom(subject, viewer)) visit(subject);
    }
  }
}
