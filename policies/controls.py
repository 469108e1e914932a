"""Annex A of ISO/IEC 27001:2022: the number, the title and the theme of its 93 controls.

Rules name the controls that they serve by number (``8.24``), and the Statement of Applicability has a row for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final


class Theme(Enum):
    """The four clauses of Annex A; the value begins the numbers of its controls."""

    ORGANISATIONAL = 5
    PEOPLE = 6
    PHYSICAL = 7
    TECHNOLOGICAL = 8

    @property
    def title(self) -> str:
        return f"{self.name.capitalize()} controls"


@dataclass(frozen=True)
class Control:
    number: str
    title: str
    theme: Theme

    def __str__(self) -> str:
        return f"A.{self.number} {self.title}"


# In the order of the standard: the position of a title is the control's number within its theme.
TITLES: Final[Mapping[Theme, tuple[str, ...]]] = MappingProxyType(
    {
        Theme.ORGANISATIONAL: (
            "Policies for information security",
            "Information security roles and responsibilities",
            "Segregation of duties",
            "Management responsibilities",
            "Contact with authorities",
            "Contact with special interest groups",
            "Threat intelligence",
            "Information security in project management",
            "Inventory of information and other associated assets",
            "Acceptable use of information and other associated assets",
            "Return of assets",
            "Classification of information",
            "Labelling of information",
            "Information transfer",
            "Access control",
            "Identity management",
            "Authentication information",
            "Access rights",
            "Information security in supplier relationships",
            "Addressing information security within supplier agreements",
            "Managing information security in the information and communication technology (ICT) supply chain",
            "Monitoring, review and change management of supplier services",
            "Information security for use of cloud services",
            "Information security incident management planning and preparation",
            "Assessment and decision on information security events",
            "Response to information security incidents",
            "Learning from information security incidents",
            "Collection of evidence",
            "Information security during disruption",
            "ICT readiness for business continuity",
            "Legal, statutory, regulatory and contractual requirements",
            "Intellectual property rights",
            "Protection of records",
            "Privacy and protection of personally identifiable information (PII)",
            "Independent review of information security",
            "Compliance with policies, rules and standards for information security",
            "Documented operating procedures",
        ),
        Theme.PEOPLE: (
            "Screening",
            "Terms and conditions of employment",
            "Information security awareness, education and training",
            "Disciplinary process",
            "Responsibilities after termination or change of employment",
            "Confidentiality or non-disclosure agreements",
            "Remote working",
            "Information security event reporting",
        ),
        Theme.PHYSICAL: (
            "Physical security perimeters",
            "Physical entry",
            "Securing offices, rooms and facilities",
            "Physical security monitoring",
            "Protecting against physical and environmental threats",
            "Working in secure areas",
            "Clear desk and clear screen",
            "Equipment siting and protection",
            "Security of assets off-premises",
            "Storage media",
            "Supporting utilities",
            "Cabling security",
            "Equipment maintenance",
            "Secure disposal or re-use of equipment",
        ),
        Theme.TECHNOLOGICAL: (
            "User endpoint devices",
            "Privileged access rights",
            "Information access restriction",
            "Access to source code",
            "Secure authentication",
            "Capacity management",
            "Protection against malware",
            "Management of technical vulnerabilities",
            "Configuration management",
            "Information deletion",
            "Data masking",
            "Data leakage prevention",
            "Information backup",
            "Redundancy of information processing facilities",
            "Logging",
            "Monitoring activities",
            "Clock synchronization",
            "Use of privileged utility programs",
            "Installation of software on operational systems",
            "Networks security",
            "Security of network services",
            "Segregation of networks",
            "Web filtering",
            "Use of cryptography",
            "Secure development life cycle",
            "Application security requirements",
            "Secure system architecture and engineering principles",
            "Secure coding",
            "Security testing in development and acceptance",
            "Outsourced development",
            "Separation of development, test and production environments",
            "Change management",
            "Test information",
            "Protection of information systems during audit testing",
        ),
    }
)
CONTROLS: Final[Mapping[str, Control]] = MappingProxyType(
    {
        f"{theme.value}.{position}": Control(f"{theme.value}.{position}", title, theme)
        for theme, titles in TITLES.items()
        for position, title in enumerate(titles, 1)
    }
)
