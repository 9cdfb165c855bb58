/** The steps between which a controller can die once a job is recorded, as fixtures/controller.mjs names them. */
export const STEPS = [
  'after insert',
  'before place',
  'after place',
  'before prepare',
  'after prepare',
  'before start',
  'after start',
  'before collect',
  'after collect',
  'before finish',
  'after finish',
  'before collected',
  'after collected',
] as const
