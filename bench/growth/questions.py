"""All questions, by group."""

from growth import asked_of_observations, asked_of_people, asked_of_relations

GROUPS = {
    "One person": asked_of_people.ONE,
    "People": asked_of_people.MANY,
    "Observations of one person": asked_of_observations.OF_ONE,
    "Observations of everyone": asked_of_observations.OF_ALL,
    "Visits and conditions": asked_of_relations.VISITS,
    "Chains and _has": asked_of_relations.CHAINS,
    "Includes": asked_of_relations.INCLUDES,
    "Order, totals, pages": asked_of_relations.PAGES,
}
QUESTIONS = tuple(question for group in GROUPS.values() for question in group)
