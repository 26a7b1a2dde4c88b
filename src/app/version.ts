/** As package.json has it; a test holds the two together. */
export const lanternVersion = '0.1.0';
