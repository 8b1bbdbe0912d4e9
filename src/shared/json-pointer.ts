/** One member name as a part of a JSON Pointer (RFC 6901). */
export const pointerPart = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')

/** The name that such a part stands for. */
export const partName = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~')
