import { describe, expect, it } from 'vitest';
import { createPasswords, defaultPasswordCost } from '../../../src/accounts/passwords.ts';
import { MatrixError } from '../../../src/matrix/errors.ts';

const cheap = { memoryKib: 8, passes: 1 };

describe('passwords', () => {
  it('are hashed with argon2id at 19 MiB and two passes', async () => {
    const passwords = createPasswords();
    const hash = await passwords.hash('correct horse');
    expect(defaultPasswordCost).toEqual({ memoryKib: 19_456, passes: 2 });
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(await passwords.verify(hash, 'correct horse')).toBe(true);
    expect(await passwords.verify(hash, 'Correct horse')).toBe(false);
  });

  it('have a salt each', async () => {
    const passwords = createPasswords(cheap);
    expect(await passwords.hash('same')).not.toBe(await passwords.hash('same'));
  });

  it('of nobody match nothing, not even what stands in for them', async () => {
    const passwords = createPasswords(cheap);
    expect(await passwords.verify(undefined, 'nobody')).toBe(false);
    expect(await passwords.verify(null, '')).toBe(false);
  });

  it('keep to what was hashed when the cost changes', async () => {
    const hash = await createPasswords(cheap).hash('older');
    expect(await createPasswords({ memoryKib: 16, passes: 2 }).verify(hash, 'older')).toBe(true);
  });

  it('are refused when too many wait', async () => {
    const passwords = createPasswords(cheap);
    const results = await Promise.allSettled(Array.from({ length: 70 }, () => passwords.hash('x')));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(6);
    expect(refused[0]?.reason).toBeInstanceOf(MatrixError);
    expect(refused[0]?.reason.errcode).toBe('M_LIMIT_EXCEEDED');
    expect(await passwords.verify(await passwords.hash('x'), 'x')).toBe(true);
  });
});
