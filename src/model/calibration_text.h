// calibration_text.h - the text that scalers are calibrated on when the user gives none.
//
// Plain English of several kinds (narrative, exposition, dialogue, a list, code), about 400 tokens,
// written for this purpose.
#pragma once

static const char ley_calibration_text[] =
    "The harbour was quiet before sunrise. Two fishermen carried a wooden crate along the pier, "
    "talking about the storm that had passed during the night. One of them, an old man named "
    "Henrik, stopped beside a boat and looked at the torn sail. \"We can repair it by Friday,\" he "
    "said, \"but only if your brother brings the rope he promised.\"\n\n"
    "A leaf is green because it absorbs red and blue light and reflects most of the rest. Inside "
    "its cells, energy from the light splits water into oxygen and hydrogen. The oxygen leaves "
    "through small openings, while the hydrogen helps to build sugar from carbon dioxide. In the "
    "year 1779, Jan Ingenhousz showed that this happens only in sunlight; at night, plants breathe "
    "much as animals do.\n\n"
    "How do I make bread at home? First, mix 500 grams of flour, 10 grams of salt, 7 grams of dry "
    "yeast and 350 millilitres of warm water. Second, knead the dough for ten minutes. Third, let "
    "it "
    "rise under a cloth until it has doubled in size, which takes about an hour. Finally, bake it "
    "at "
    "220 degrees for 35 minutes.\n\n"
    "The council met on Tuesday to discuss the new bridge. Supporters argued that it would shorten "
    "the way to the hospital by eight kilometres, while others worried about its cost of nearly "
    "twelve million. \"Nobody denies that we need it,\" the mayor told reporters afterwards. \"The "
    "question is who pays, and when.\" A decision is expected in March.\n\n"
    "def mean(values):\n    total = 0.0\n    for value in values:\n        total += value\n"
    "    return total / len(values)\n\n"
    "Rivers change their course slowly. Where the water is fast it takes sand away, and where it "
    "is "
    "slow it lays the sand down again, so that every bend grows until the river cuts through its "
    "neck "
    "and leaves a curved lake behind.\n";
