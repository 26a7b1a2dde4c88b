import fc from 'fast-check';

// The gate tries the same cases at each run, so that what fails there is the change; everybody else tries other ones each time.
const seed = process.env.PROPERTY_SEED;
if (seed !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) });
