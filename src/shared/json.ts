/** A JSON object: neither null nor an array. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Escapes a member name for use in a JSON Pointer (RFC 6901). */
export const escapePointerToken = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')

/** The member name that an escaped token stands for. */
export const unescapePointerToken = (token: string): string => token.replaceAll('~1', '/').replaceAll('~0', '~')
