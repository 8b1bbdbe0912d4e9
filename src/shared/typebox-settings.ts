import { Settings } from 'typebox/system'

/** By default TypeBox stops at 8 errors. Every module that lists errors imports this one for its side effect. */
Settings.Set({ maxErrors: 100 })
