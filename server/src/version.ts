/** Of the program as a whole; kept equal to server/package.json by a test. */
export const VERSION = '0.1.0'
