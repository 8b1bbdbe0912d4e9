import { Settings } from 'typebox/system'

/** TypeBox stops at 8 faults unless told otherwise. Imported, for its effect, by all that lists faults. */
Settings.Set({ maxErrors: 100 })
