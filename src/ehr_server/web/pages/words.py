"""What the pages say, in English and Vietnamese."""

from collections.abc import Mapping
from types import MappingProxyType

from ehr_server.fhir.outcome import Language

WORDS: Mapping[Language, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "what": "A FHIR R4 server for lifelong personal health records",
            "release": "version",
            "address": "FHIR base",
            "how": "How it is",
            "attempt": "Try it",
            "further": "Further",
            "docs": "Addresses and methods",
            "capabilities": "CapabilityStatement: what this server can do",
            "health": "Health: whether it can answer",
            "metrics": "Metrics, for Prometheus",
            "standard": "Keeps to HL7 FHIR R4 (4.0.1).",
            "database": "Database",
            "there": "there",
            "away": "away: see the log, and run ehr-server doctor",
            "schema": "Schema",
            "current": "up to date",
            "behind": "of another version: run ehr-server migrate",
            "resources": "Resources",
            "about": "about",
            "jobs": "Background jobs",
            "waiting": "waiting or running",
            "failed": "failed",
            "method": "Method",
            "path": "Address",
            "does": "What it does",
            "schema_of_all": "The same as an OpenAPI document",
        },
        "vi": {
            "what": "Máy chủ FHIR R4 cho hồ sơ sức khỏe cá nhân trọn đời",
            "release": "phiên bản",
            "address": "Địa chỉ gốc FHIR",
            "how": "Tình trạng",
            "attempt": "Dùng thử",
            "further": "Xem thêm",
            "docs": "Các địa chỉ và phương thức",
            "capabilities": "CapabilityStatement: máy chủ làm được gì",
            "health": "Tình trạng: máy chủ có trả lời được không",
            "metrics": "Số đo, dành cho Prometheus",
            "standard": "Theo chuẩn HL7 FHIR R4 (4.0.1).",
            "database": "Cơ sở dữ liệu",
            "there": "sẵn sàng",
            "away": "không kết nối được: xem nhật ký và chạy ehr-server doctor",
            "schema": "Cấu trúc",
            "current": "mới nhất",
            "behind": "thuộc phiên bản khác: chạy ehr-server migrate",
            "resources": "Tài nguyên",
            "about": "khoảng",
            "jobs": "Việc chạy nền",
            "waiting": "đang chờ hoặc đang chạy",
            "failed": "thất bại",
            "method": "Phương thức",
            "path": "Địa chỉ",
            "does": "Việc thực hiện",
            "schema_of_all": "Cùng nội dung ở dạng tài liệu OpenAPI",
        },
    }
)
