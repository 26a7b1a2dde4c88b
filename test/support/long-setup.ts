import fc from 'fast-check';
import { propertyRuns } from './property-runs.ts';

/** fast-check's own default is 100. */
fc.configureGlobal({ numRuns: propertyRuns(100) });
