from django.urls import path

from rules.api import approvals, views

urlpatterns = [
    path("rule-fields", views.RuleFields.as_view(), name="rule-fields"),
    path("auto-trading/rules", views.Rules.as_view(), name="rules"),
    path("auto-trading/rules/validate", views.ValidateRule.as_view(), name="rule-validate"),
    path("auto-trading/rules/schema", views.RuleSchema.as_view(), name="rule-schema"),
    path("auto-trading/rules/<uuid:id>", views.RulesById.as_view(), name="rules-by-id"),
    path("auto-trading/rules/<uuid:id>/details", views.RuleDetails.as_view(), name="rule-details"),
    path("auto-trading/rules/<uuid:id>/activate", views.ActivateRule.as_view(), name="rule-activate"),
    path("auto-trading/rules/<uuid:id>/deactivate", views.DeactivateRule.as_view(), name="rule-deactivate"),
    path("auto-trading/rules/<uuid:id>/versions", approvals.RuleVersions.as_view(), name="rule-versions"),
    path(
        "auto-trading/rules/<uuid:id>/versions/<int:version>/approve",
        approvals.ApproveRuleVersion.as_view(),
        name="rule-version-approve",
    ),
    path(
        "auto-trading/rules/<uuid:id>/versions/<int:version>/reject",
        approvals.RejectRuleVersion.as_view(),
        name="rule-version-reject",
    ),
    path("approvals", approvals.Approvals.as_view(), name="approvals"),
]
